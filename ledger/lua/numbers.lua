-- numbers.lua: exact amounts.
--
-- Idea: a Lua number is a double, exact to 2^53. An amount in hand is a number if it is below that, and else its decimal
-- string (balances go to 9e18): amount() reads one, add() adds two, str() prints one. A number becomes text by str() only:
-- tostring and .. would print 1e14 as 1e+14.

-- str prints an amount. %d is exact for every whole double below 2^63, and takes half the time of %.0f.
local function str(n)
  if wide and type(n) == 'string' then return n end
  return format('%d', n)
end

-- amount reads one.
local function amount(text)
  local n = tonumber(text)
  if n > MAX or n < -MAX then
    wide = true
    return text
  end
  return n
end

-- halves cuts a decimal string into hi and lo with value = hi * 1e9 + lo, both of the value's sign.
local function halves(s)
  local sign, digits = 1, s
  if sub(s, 1, 1) == '-' then sign, digits = -1, sub(s, 2) end
  if #digits <= 9 then return 0, sign * tonumber(digits) end
  return sign * tonumber(sub(digits, 1, -10)), sign * tonumber(sub(digits, -9))
end

-- long_add is add for what a double does not hold.
local function long_add(a, b)
  wide = true
  local hi_a, lo_a = halves(str(a))
  local hi_b, lo_b = halves(str(b))
  local hi, lo = hi_a + hi_b, lo_a + lo_b
  local carry = floor(lo / 1e9)
  hi, lo = hi + carry, lo - carry * 1e9 -- now 0 <= lo < 1e9
  if hi < 0 and lo > 0 then hi, lo = hi + 1, 1e9 - lo end -- both of one sign; lo is printed without its own
  if hi == 0 then return (hi_a + hi_b + carry < 0) and -lo or lo end
  return amount(str(hi) .. format('%09d', lo))
end

-- add is the exact sum of two amounts.
local function add(a, b)
  if not wide or type(a) == 'number' and type(b) == 'number' then
    local sum = a + b
    if sum <= MAX and sum >= -MAX then return sum end
  end
  return long_add(a, b)
end

-- negate turns the sign of an amount.
local function negate(x)
  if not wide or type(x) == 'number' then return -x end
  if sub(x, 1, 1) == '-' then return sub(x, 2) end
  return '-' .. x
end

-- clamp is an amount as a number, cut to ±(2^53-1). Compared with anything below 2^53 it decides as the exact value would.
local function clamp(x)
  if not wide or type(x) == 'number' then return x end
  return sub(x, 1, 1) == '-' and -MAX or MAX
end

-- total is clamp of the exact sum of up to four amounts.
local function total(a, b, c, d)
  if not wide then
    local one, other = a + b, (c or 0) + (d or 0)
    if one <= MAX and one >= -MAX and other <= MAX and other >= -MAX then return max(-MAX, min(MAX, one + other)) end
  end
  return clamp(add(add(a, b), add(c or 0, d or 0)))
end

-- limbs are the digits of a whole number >= 0 in base 1e7, lowest first.
local function limbs(x)
  local s, t = str(x), {}
  for last = #s, 1, -7 do t[#t + 1] = tonumber(sub(s, max(last - 6, 1), last)) end
  return t
end

-- multiply and plus work on limbs; every step stays below 2^53.
local function multiply(a, b)
  local t = {}
  for i = 1, #a + #b do t[i] = 0 end
  for i = 1, #a do
    local carry = 0
    for j = 1, #b do
      local v = t[i + j - 1] + a[i] * b[j] + carry
      carry = floor(v / 1e7)
      t[i + j - 1] = v - carry * 1e7
    end
    t[i + #b] = carry
  end
  return t
end

local function plus(a, b)
  local t, carry = {}, 0
  for i = 1, max(#a, #b) do
    local v = (a[i] or 0) + (b[i] or 0) + carry
    carry = floor(v / 1e7)
    t[i] = v - carry * 1e7
  end
  t[#t + 1] = carry
  return t
end

-- exceeds reports whether limbs a > limbs b.
local function exceeds(a, b)
  for i = max(#a, #b), 1, -1 do
    local x, y = a[i] or 0, b[i] or 0
    if x ~= y then return x > y end
  end
  return false
end

-- lost is what rounding took off a product of numbers below 2^53: a * b is exactly a*b + lost(a, b, a*b), after Dekker.
local function lost(a, b, product)
  local t = 134217729 * a -- 2^27 + 1 splits 53 bits in two
  local a_high = t - (t - a)
  t = 134217729 * b
  local b_high = t - (t - b)
  local a_low, b_low = a - a_high, b - b_high
  return ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
end

-- muldiv is floor((a*b + c) / d), exact for operands of any size, or 2^53-1 where that is less: beyond it q + 1 can be q, and a
-- search for the right quotient has no end. a, b, d: amounts >= 0, d > 0; c: a number, 0 <= c <= d. The quotient of the doubles is
-- a few units off at worst. The exact remainder says which is right: of products below 2^53 at once; of most others by what their
-- rounding lost; of the rest by limbs.
local function muldiv(a, b, d, c)
  local product, divisor = tonumber(a) * tonumber(b), tonumber(d)
  local q = min(MAX, floor((product + c) / divisor))
  local rest
  if product + c <= MAX then
    rest = product + c - q * divisor
  elseif q < 2^50 and divisor < 2^51 and clamp(a) < MAX and clamp(b) < MAX then
    local back = q * divisor
    rest = (product - back) + (lost(a, b, product) - lost(q, divisor, back)) + c
  end
  if rest then
    while rest < 0 do q, rest = q - 1, rest + divisor end
    while rest >= divisor do q, rest = q + 1, rest - divisor end
    return q
  end
  local exact, by = plus(multiply(limbs(a), limbs(b)), limbs(c)), limbs(d)
  while q > 0 and exceeds(multiply(limbs(q), by), exact) do q = q - 1 end
  while q < MAX and not exceeds(multiply(limbs(q + 1), by), exact) do q = q + 1 end
  return q
end

