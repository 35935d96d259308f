// The little of Java that scripts of this field use, by the names it has there. Whatever else is
// asked for throws, with its whole name. Evaluated before `event.js`; answers with the class of
// decimals and with what says whether a name is there.
(function (native) {
  'use strict';

  const hidden = (object, name, value) =>
    Object.defineProperty(object, name, { value, writable: true, configurable: true });
  const fail = (message) => { throw new TypeError(message); };

  // A text of Java's is one of JavaScript's here, with the methods that only Java's has.
  const pattern = (text, flags) => new RegExp(text, flags);
  const methods = {
    equals(other) { return other != null && String(this) === String(other); },
    equalsIgnoreCase(other) {
      return other != null && String(this).toLowerCase() === String(other).toLowerCase();
    },
    isEmpty() { return this.length === 0; },
    isBlank() { return String(this).trim() === ''; },
    contains(part) { return String(this).indexOf(String(part)) >= 0; },
    matches(whole) { return pattern('^(?:' + whole + ')$').test(String(this)); },
    replaceAll(what, by) {
      if (what instanceof RegExp) return String(this).replace(what, by);
      return String(this).replace(pattern(what, 'g'), by);
    },
    replaceFirst(what, by) { return String(this).replace(pattern(what), by); },
    compareTo(other) { return this < other ? -1 : this > other ? 1 : 0; },
    hashCode() {
      let hash = 0;
      for (let at = 0; at < this.length; at++) hash = (31 * hash + this.charCodeAt(at)) | 0;
      return hash;
    },
    getBytes() { return native.bytes(String(this).toWellFormed()); },
    toCharArray() { return Array.from({ length: this.length }, (_, at) => this[at]); },
    strip() { return String(this).trim(); },
  };
  for (const name of Object.keys(methods)) hidden(String.prototype, name, methods[name]);

  const text = (value) => (Array.isArray(value) ? native.text(value) : String(value).toWellFormed());
  const bytes = (value) => (Array.isArray(value) ? value : native.bytes(text(value)));

  // Decimal numbers: a whole number and how many of its digits stand behind the point.
  const DIGITS = 10000;
  const ten = (power) => {
    if (power > DIGITS) fail('a decimal of more than ' + DIGITS + ' digits');
    return 10n ** BigInt(power);
  };
  const rounding = ['UP', 'DOWN', 'CEILING', 'FLOOR', 'HALF_UP', 'HALF_DOWN', 'HALF_EVEN', 'UNNECESSARY'];
  const divided = (number, by, mode) => {
    let quotient = number / by;
    const rest = number % by;
    if (rest === 0n) return quotient;
    const negative = (number < 0n) !== (by < 0n);
    const twice = 2n * (rest < 0n ? -rest : rest);
    const whole = by < 0n ? -by : by;
    const up = {
      UP: true,
      DOWN: false,
      CEILING: !negative,
      FLOOR: negative,
      HALF_UP: twice >= whole,
      HALF_DOWN: twice > whole,
      HALF_EVEN: twice > whole || (twice === whole && quotient % 2n !== 0n),
    }[typeof mode === 'number' ? rounding[mode] : String(mode ?? 'UNNECESSARY')];
    if (up === undefined) fail('Rounding necessary');
    return up ? quotient + (negative ? -1n : 1n) : quotient;
  };
  class BigDecimal {
    #whole;
    #scale;
    constructor(value, scale) {
      if (typeof value === 'bigint') {
        [this.#whole, this.#scale] = [value, scale ?? 0];
        return;
      }
      const found = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,5}))?$/.exec(String(value));
      if (!found || !(found[2] || found[3])) {
        throw new Error('java.lang.NumberFormatException: ' + value);
      }
      const digits = found[2] + (found[3] ?? '');
      if (digits.length > DIGITS) fail('a decimal of more than ' + DIGITS + ' digits');
      this.#whole = BigInt(digits) * (found[1] === '-' ? -1n : 1n);
      this.#scale = (found[3] ?? '').length - Number(found[4] ?? 0);
    }
    static of(value) { return value instanceof BigDecimal ? value : new BigDecimal(value); }
    static valueOf(value) { return new BigDecimal(value); }
    #at(scale) { return this.#whole * ten(scale - this.#scale); }
    #pair(other) {
      const that = BigDecimal.of(other);
      const scale = Math.max(this.#scale, that.#scale);
      return [this.#at(scale), that.#at(scale), scale];
    }
    add(other) { const [a, b, scale] = this.#pair(other); return new BigDecimal(a + b, scale); }
    subtract(other) { const [a, b, scale] = this.#pair(other); return new BigDecimal(a - b, scale); }
    multiply(other) {
      const that = BigDecimal.of(other);
      return new BigDecimal(this.#whole * that.#whole, this.#scale + that.#scale);
    }
    divide(other, scale, mode) {
      const that = BigDecimal.of(other);
      if (that.#whole === 0n) throw new Error('java.lang.ArithmeticException: / by zero');
      if (mode === undefined) [scale, mode] = [this.#scale, scale];
      const shift = scale - this.#scale + that.#scale;
      const [above, below] = shift >= 0 ? [ten(shift), 1n] : [1n, ten(-shift)];
      return new BigDecimal(divided(this.#whole * above, that.#whole * below, mode), scale);
    }
    setScale(scale, mode) {
      if (scale >= this.#scale) return new BigDecimal(this.#at(scale), scale);
      return new BigDecimal(divided(this.#whole, ten(this.#scale - scale), mode), scale);
    }
    negate() { return new BigDecimal(-this.#whole, this.#scale); }
    abs() { return this.#whole < 0n ? this.negate() : this; }
    signum() { return this.#whole < 0n ? -1 : this.#whole > 0n ? 1 : 0; }
    scale() { return this.#scale; }
    compareTo(other) { const [a, b] = this.#pair(other); return a < b ? -1 : a > b ? 1 : 0; }
    equals(other) {
      return other instanceof BigDecimal && this.#whole === other.#whole && this.#scale === other.#scale;
    }
    min(other) { return this.compareTo(other) <= 0 ? this : BigDecimal.of(other); }
    max(other) { return this.compareTo(other) >= 0 ? this : BigDecimal.of(other); }
    doubleValue() { return Number(this.toString()); }
    floatValue() { return Math.fround(this.doubleValue()); }
    intValue() { return Math.trunc(this.doubleValue()) | 0; }
    longValue() { return Math.trunc(this.doubleValue()); }
    toPlainString() {
      if (this.#scale <= 0) return String(this.#whole * ten(-this.#scale));
      const digits = String(this.#whole < 0n ? -this.#whole : this.#whole).padStart(this.#scale + 1, '0');
      const point = digits.length - this.#scale;
      return (this.#whole < 0n ? '-' : '') + digits.slice(0, point) + '.' + digits.slice(point);
    }
    // As Java prints it: with an exponent where the scale is negative or the number very small.
    toString() {
      const digits = String(this.#whole < 0n ? -this.#whole : this.#whole);
      const exponent = digits.length - 1 - this.#scale;
      if (this.#scale >= 0 && exponent >= -6) return this.toPlainString();
      const tail = digits.length > 1 ? '.' + digits.slice(1) : '';
      const sign = this.#whole < 0n ? '-' : '';
      return sign + digits[0] + tail + 'E' + (exponent < 0 ? '' : '+') + exponent;
    }
    valueOf() { return this.doubleValue(); }
    [Symbol.toPrimitive](hint) { return hint === 'string' ? this.toString() : this.doubleValue(); }
    toJSON() { return JSON.rawJSON(this.toString()); }
  }
  for (const [name, value] of [['ZERO', '0'], ['ONE', '1'], ['TEN', '10']]) {
    BigDecimal[name] = new BigDecimal(value);
  }

  const whole = (least, most) => (value, radix) => {
    const given = String(value).trim();
    const number = radix === undefined ? Number(given) : parseInt(given, radix);
    const fits = /^[+-]?[0-9a-zA-Z]+$/.test(given) && Number.isInteger(number);
    if (!fits || number < least || number > most) {
      throw new Error('java.lang.NumberFormatException: For input string: "' + value + '"');
    }
    return number;
  };
  const real = (value) => {
    const number = Number(String(value).trim());
    if (Number.isNaN(number) && String(value).trim() !== 'NaN') {
      throw new Error('java.lang.NumberFormatException: For input string: "' + value + '"');
    }
    return number;
  };
  const integer = whole(-2147483648, 2147483647);
  const long = whole(-9007199254740991, 9007199254740991);
  const shown = (value, radix) => Number(value).toString(radix);
  const compared = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  const form = (value) => text(value).replace(/[\s\S]/gu, (c) =>
    /[A-Za-z0-9.*_-]/.test(c) ? c : c === ' ' ? '+' : encodeURIComponent(c).replace(/[!'()~]/g, (d) =>
      '%' + d.charCodeAt(0).toString(16).toUpperCase()));
  const unform = (value) => decodeURIComponent(String(value).replace(/\+/g, ' '));
  const digest = (name) => (value) => native.digest(name, bytes(value));
  const encoder = (url, padded) => ({
    encodeToString: (value) => native.encode64(bytes(value), url, padded),
    withoutPadding: () => encoder(url, false),
  });
  const decoder = () => ({ decode: (value) => native.decode64(text(value)) });
  const uuid = (made) => ({ toString: () => made, toJSON: () => made });

  const known = {
    'java.lang.String': Object.assign(function (value) { return new String(text(value ?? '')); }, {
      valueOf: (value) => String(value),
      join: (by, ...all) => (Array.isArray(all[0]) ? all[0] : all).map(String).join(by),
    }),
    'java.lang.Integer': {
      parseInt: integer, valueOf: integer, toString: shown, compare: compared,
      toHexString: (value) => (value >>> 0).toString(16), MAX_VALUE: 2147483647, MIN_VALUE: -2147483648,
    },
    'java.lang.Long': { parseLong: long, valueOf: long, toString: shown, compare: compared },
    'java.lang.Double': {
      parseDouble: real, valueOf: real, toString: (value) => String(value), compare: compared,
      isNaN: (value) => Number.isNaN(value),
    },
    'java.lang.Float': { parseFloat: (value) => Math.fround(real(value)), valueOf: (value) => Math.fround(real(value)) },
    'java.lang.Boolean': {
      parseBoolean: (value) => String(value).toLowerCase() === 'true',
      valueOf: (value) => String(value).toLowerCase() === 'true',
      toString: (value) => String(value),
    },
    'java.lang.Math': {
      abs: Math.abs, ceil: Math.ceil, floor: Math.floor, max: Math.max, min: Math.min,
      pow: Math.pow, round: (value) => Math.floor(value + 0.5), sqrt: Math.sqrt,
    },
    'java.lang.System': { currentTimeMillis: () => native.now() },
    'java.math.BigDecimal': BigDecimal,
    'java.math.RoundingMode': Object.fromEntries(rounding.map((name) => [name, name])),
    'java.net.URLDecoder': { decode: unform },
    'java.net.URLEncoder': { encode: form },
    'java.nio.charset.StandardCharsets': { UTF_8: 'UTF-8' },
    'java.util.Base64': {
      getEncoder: () => encoder(false, true), getUrlEncoder: () => encoder(true, true),
      getDecoder: decoder, getUrlDecoder: decoder,
    },
    'java.util.UUID': {
      nameUUIDFromBytes: (value) => uuid(native.named(bytes(value))),
      randomUUID: () => uuid(native.uuid()),
    },
    'org.apache.commons.codec.binary.Base64': {
      encodeBase64String: (value) => native.encode64(bytes(value), false, true),
      encodeBase64URLSafeString: (value) => native.encode64(bytes(value), true, false),
      decodeBase64: (value) => native.decode64(text(value)),
    },
    'org.apache.commons.codec.binary.Hex': { encodeHexString: (value) => native.hex(bytes(value)) },
    'org.apache.commons.codec.digest.DigestUtils': {
      md5Hex: digest('md5'), shaHex: digest('sha1'), sha1Hex: digest('sha1'),
      sha256Hex: digest('sha256'), sha384Hex: digest('sha384'), sha512Hex: digest('sha512'),
    },
  };

  const own = (object, name) => Object.prototype.hasOwnProperty.call(object, name);
  const missing = (path) => fail('Java is not available: ' + path);
  const closed = new Map();
  // A class: what it has, and an error for what it has not.
  const member = (path) => {
    if (!closed.has(path)) {
      const target = known[path];
      closed.set(path, new Proxy(typeof target === 'function' ? target : Object.assign(function () {}, target), {
        get(found, name) {
          if (typeof name !== 'string' || own(known[path], name) || name === 'prototype') return found[name];
          return missing(path + '.' + name);
        },
        apply() { return missing(path); },
        construct(found, values) {
          return typeof known[path] === 'function' ? Reflect.construct(found, values) : missing('new ' + path);
        },
      }));
    }
    return closed.get(path);
  };
  const place = (path) => {
    if (own(known, path)) return member(path);
    return new Proxy(function () {}, {
      get(_, name) { return typeof name === 'string' ? place(path + '.' + name) : undefined; },
      apply() { return missing(path); },
      construct() { return missing('new ' + path); },
    });
  };
  for (const root of ['java', 'javax', 'org', 'com']) hidden(globalThis, root, place(root));
  hidden(globalThis, 'Packages', new Proxy({}, {
    get(_, name) { return typeof name === 'string' ? place(name) : undefined; },
  }));
  hidden(globalThis, 'Java', {
    type: (path) => (own(known, path) ? member(path) : missing(path)),
    from: (values) => Array.from(values),
    to: (values) => values,
  });

  // Whether a name is a class here, a member of one, or the beginning of such a name.
  const has = (path) => {
    const names = Object.keys(known);
    if (names.some((name) => name === path || name.startsWith(path + '.'))) return true;
    const found = names.find((name) => path.startsWith(name + '.'));
    return found !== undefined && own(known[found], path.slice(found.length + 1).split('.')[0]);
  };
  return { decimal: BigDecimal, has };
})
