"""The layout of Feast's online store on Redis, so that the scorer reads it without importing Feast.

One hash an entity. Its key is Feast's entity key (serialization version 3) followed by the project; its
fields are the murmur3 hash of `view:feature`, `_ts:view`, and one field of ours, `_v:view`, with the row
version. tests/feature_repo proves the layout equal to the SDK's.

Source: Feast 0.67, `feast.infra.key_encoding_utils.serialize_entity_key` and
`feast.infra.online_stores.helpers._redis_key`, `_mmh3`.
"""

from __future__ import annotations

KEY_TTL_SECONDS = 28 * 24 * 3600
"""Redis expiry only frees memory: four times late_horizon, far beyond twice session_horizon."""
