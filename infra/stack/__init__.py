"""The local stack: `LocalStack(settings).up([...])`, `.status()`, `.down()`."""

from infra.stack.local import LocalStack
from infra.stack.unit import StackError, Status, Unit
from infra.stack.units import DEFAULT

__all__ = ["DEFAULT", "LocalStack", "StackError", "Status", "Unit"]
