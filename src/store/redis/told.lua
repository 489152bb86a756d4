-- What is told of a commit that does not find what it states. k: how many keys come before its own, of which the first are
-- its receipts and the next its expectations. The receipts that are there; where none is, the records as they are.
local function told(k, receipts, expects)
  local seen = { 'SEEN' }
  for i = 1, receipts do
    local stored = redis.call('GET', KEYS[k + i])
    if stored then seen[#seen + 1], seen[#seen + 2] = tostring(i - 1), stored end
  end
  if #seen > 1 then return seen end
  local fresh = { 'CONFLICT' }
  for i = 1, expects do fresh[i + 1] = redis.call('GET', KEYS[k + receipts + i]) end
  return fresh
end

