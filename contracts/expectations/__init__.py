"""What must hold of a day before it goes on, declared once: the gates bronze → silver and silver → gold.

A `Rule` measures one number a day. Row rules are SQL conditions of a violation: all rules of a table compile to one
aggregation (`spark_jobs.gates`), and Great Expectations judges and documents the row of numbers.
"""

from contracts.expectations.rules import DAY_RULES, FEATURES, INGEST, RULES, Gate, Rule, rules_of

__all__ = ["DAY_RULES", "FEATURES", "INGEST", "RULES", "Gate", "Rule", "rules_of"]
