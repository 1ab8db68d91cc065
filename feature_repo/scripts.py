"""What runs inside Redis, each in one atomic step: set a row unless an older one, leave a tombstone, remove a row.

A tombstone is a version field without a timestamp field. Of a view whose rows say under which choice they were made
the greatest (choice, version) stays, a tombstone counting as the last version of its choice: a total order, so what is
left is the same in every order of the writes. Of other views versions alone decide.
"""

from __future__ import annotations

# Versions are equally long: the first differing byte decides. A choice is an encoded `consent_changed_at`, a tag and a
# varint, least significant group first: the longer one is later, of equally long ones the last differing byte decides.
# Lua's own string order follows the locale.
COMPARE = """
local function compare(is, was)
  for at = 1, 24 do
    local one, other = string.byte(is, at) or 0, string.byte(was, at) or 0
    if one ~= other then return one - other end
  end
  return 0
end
local function compare_choices(one, other)
  if #one ~= #other then return #one - #other end
  return compare(string.reverse(one), string.reverse(other))
end
"""
SET_UNLESS_OLDER = f"""{COMPARE}
-- ARGV: version field, timestamp field, field of the choice ('' for none), the row's choice, version, the version that
-- a tombstone must be smaller than; fields and values; seconds to live, 0 for ever. 1 when it was set.
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held and redis.call('HEXISTS', KEYS[1], ARGV[2]) == 0 then
  if compare(ARGV[6], held) <= 0 then return 0 end
elseif held then
  local choice = ARGV[3] ~= '' and redis.call('HGET', KEYS[1], ARGV[3])
  local order = choice and compare_choices(ARGV[4], choice) or 0
  if order == 0 then order = compare(ARGV[5], held) end
  if order < 0 then return 0 end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[5], unpack(ARGV, 7, #ARGV - 1))
if ARGV[#ARGV] ~= '0' then
  redis.call('EXPIRE', KEYS[1], ARGV[#ARGV])
else
  redis.call('PERSIST', KEYS[1])
end
return 1
"""
LEAVE_TOMBSTONE = f"""{COMPARE}
-- ARGV: version field, timestamp field, field of the choice ('' for none), the choice that withdraws, version, seconds
-- to live; fields to remove. 0 when the row was made under a later choice and stays.
local held = redis.call('HGET', KEYS[1], ARGV[1])
local choice = ARGV[3] ~= '' and redis.call('HGET', KEYS[1], ARGV[3])
if choice then
  -- A row of this choice or an earlier one: its version must not stand, the tombstone's says which choice left it.
  if compare_choices(choice, ARGV[4]) > 0 then return 0 end
elseif held and compare(held, ARGV[5]) > 0 then
  ARGV[5] = held
  if redis.call('HEXISTS', KEYS[1], ARGV[2]) == 1 then
    -- The version of a row, of whatever job: a later one's row of it is no newer.
    ARGV[5] = string.sub(held, 1, 16) .. string.rep('\\255', 8)
  end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[5])
redis.call('HDEL', KEYS[1], ARGV[2], unpack(ARGV, 7))
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if #field > 4 and string.sub(field, 1, 4) == '_ts:' then
    redis.call('EXPIRE', KEYS[1], ARGV[6], 'GT')
    return 1
  end
end
redis.call('EXPIRE', KEYS[1], ARGV[6])
return 1
"""
REMOVE_ROW = """
-- ARGV: timestamp field, then the other fields of the view. 1 when there was a row; a tombstone stays.
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HDEL', KEYS[1], unpack(ARGV))
return 1
"""
