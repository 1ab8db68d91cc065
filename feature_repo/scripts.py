"""What runs inside Redis, each in one atomic step: set a row unless an older one, and leave a tombstone.

A tombstone is a version field without a timestamp field. Versions are equally long, so the first differing byte
decides; Lua's own string order follows the locale.
"""

from __future__ import annotations

COMPARE = """
local function compare(is, was)
  for at = 1, 16 do
    local one, other = string.byte(is, at) or 0, string.byte(was, at) or 0
    if one ~= other then return one - other end
  end
  return 0
end
"""
SET_UNLESS_OLDER = f"""{COMPARE}
-- ARGV: version field, timestamp field, version; fields and values; seconds to live, 0 for ever. 1 when it was set.
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held then
  local order = compare(ARGV[3], held)
  if order < 0 then return 0 end
  if order == 0 and redis.call('HEXISTS', KEYS[1], ARGV[2]) == 0 then return 0 end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3], unpack(ARGV, 4, #ARGV - 1))
if ARGV[#ARGV] ~= '0' then
  redis.call('EXPIRE', KEYS[1], ARGV[#ARGV])
else
  redis.call('PERSIST', KEYS[1])
end
return 1
"""
# A value of `consent_changed_at` is a tag and a varint, least significant group first: the longer one is greater, of
# equally long ones the last differing byte decides.
LEAVE_TOMBSTONE = f"""{COMPARE}
local function later(one, other)
  if #one ~= #other then return #one > #other end
  for at = #one, 1, -1 do
    local left, right = string.byte(one, at), string.byte(other, at)
    if left ~= right then return left > right end
  end
  return false
end
-- ARGV: version field, timestamp field, version, seconds to live, field of the choice ('' for none), the choice that
-- withdraws; fields to remove. 0 when the row was made under a later choice and stays.
if ARGV[5] ~= '' then
  local choice = redis.call('HGET', KEYS[1], ARGV[5])
  if choice and later(choice, ARGV[6]) then return 0 end
end
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held and compare(held, ARGV[3]) > 0 then ARGV[3] = held end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('HDEL', KEYS[1], ARGV[2], unpack(ARGV, 7))
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if #field > 4 and string.sub(field, 1, 4) == '_ts:' then
    redis.call('EXPIRE', KEYS[1], ARGV[4], 'GT')
    return 1
  end
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
"""
