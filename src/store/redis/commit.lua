-- One commit: look at everything first, then write. A failing script does not roll back, so what can fail is
-- looked at (or, for quantities, tried and put back) before the first write that stays.
-- KEYS: feed, feed counter, due index; then one for each receipt, expectation, log, quantity and write.
-- ARGV: eight counts, then the values in this order:
--   receipts (value, seconds kept), expectations (token, '' for absent), logs (length before, entries to come),
--   quantities (delta), writes (value, '' to delete), entries log by log, feed bodies, feed positions that are
--   done, due subjects (subject, milliseconds, '' to take off).
-- No amount becomes a Lua number: BITFIELD counts, a quantity is read as its eight bytes.
local call, n = redis.call, {}
for i = 1, 8 do n[i] = tonumber(ARGV[i]) end
local receipts, expects, logs, quantities, writes, effects, done, dues = unpack(n)
local kr, ar = 3, 8
local ke, ae = kr + receipts, ar + 2 * receipts
local kl, al = ke + expects, ae + expects
local kq, aq = kl + logs, al + 2 * logs
local kw, aw = kq + quantities, aq + quantities
local next = aw + writes

local seen, before = { 'SEEN' }, {}
for i = 1, receipts do
  local stored = call('GET', KEYS[kr + i])
  if stored then seen[#seen + 1], seen[#seen + 2] = tostring(i - 1), stored end
end
if #seen > 1 then return seen end
for i = 1, expects do
  if call('GETRANGE', KEYS[ke + i], 0, 23) ~= ARGV[ae + i] then
    local fresh = { 'CONFLICT' }
    for j = 1, expects do fresh[j + 1] = call('GET', KEYS[ke + j]) end
    return fresh
  end
end
for i = 1, logs do
  if call('LLEN', KEYS[kl + i]) ~= tonumber(ARGV[al + 2 * i - 1]) then return { 'GAP', tostring(i - 1) } end
end
if effects + done > 0 then call('ZCARD', KEYS[1]) call('GET', KEYS[2]) end -- of a foreign type: fail now
if dues > 0 then call('ZCARD', KEYS[3]) end
for i = 1, quantities do before[i] = call('GET', KEYS[kq + i]) end

for i = 1, quantities do
  -- Unsigned, 63 bits wide, after one bit of padding: the bytes of an i64 that is not negative.
  if not call('BITFIELD', KEYS[kq + i], 'OVERFLOW', 'FAIL', 'INCRBY', 'u63', 1, ARGV[aq + i])[1] then
    for j = 1, i do
      if before[j] then call('SET', KEYS[kq + j], before[j]) else call('DEL', KEYS[kq + j]) end
    end
    return { 'GUARD', tostring(i - 1), before[i] }
  end
end
for i = 1, receipts do call('SET', KEYS[kr + i], ARGV[ar + 2 * i - 1], 'EX', ARGV[ar + 2 * i]) end
for i = 1, writes do
  if ARGV[aw + i] == '' then call('DEL', KEYS[kw + i]) else call('SET', KEYS[kw + i], ARGV[aw + i]) end
end
for i = 1, logs do
  local last = next + tonumber(ARGV[al + 2 * i])
  while next < last do
    local upto = math.min(next + 1000, last) -- Lua's stack takes some thousands
    call('RPUSH', KEYS[kl + i], unpack(ARGV, next + 1, upto))
    next = upto
  end
end
local position = effects > 0 and call('INCRBY', KEYS[2], effects) - effects
for _ = 1, effects do
  next, position = next + 1, position + 1
  local digits = string.format('%016.0f', position)
  call('ZADD', KEYS[1], digits, digits .. ARGV[next])
end
for _ = 1, done do
  next = next + 1
  call('ZREMRANGEBYSCORE', KEYS[1], ARGV[next], ARGV[next])
end
for _ = 1, dues do
  next = next + 2
  if ARGV[next] == '' then call('ZREM', KEYS[3], ARGV[next - 1])
  else call('ZADD', KEYS[3], ARGV[next], ARGV[next - 1]) end
end
return { 'APPLIED' }
