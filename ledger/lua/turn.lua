-- turn.lua: how a trip goes: each call has its turn, and at the end everything is written.

-- finish writes everything in hand.
local function finish()
  for i = 1, #work_order do
    work = work_order[i]
    for j = 1, #work.order do
      local of = work.order[j]
      put_account(of)
      put_packs(of)
      put_scope(of)
      for k = 1, #of.key_order do put_key(of.key_order[k]) end
    end
  end
  commit()
end

-- turn is one call of a trip. Its keys stand behind the first `from` of keys.
local function turn(main, keys, from, argv)
  begin(keys, from, argv)
  return enter() or main()
end

-- alone is a trip of one call.
local function alone(main, keys, argv)
  set_out()
  local reply = turn(main, keys, 0, argv)
  finish()
  return reply
end

