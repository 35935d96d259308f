// The event as scripts see it: for each column a getter, a setter and a property, as the bean of
// the JVM has them. Evaluated once for each realm, before the script; answers with what makes of a
// way to the script's function one that runs it.
(function (native, columns) {
  'use strict';

  const Decimal = native.decimal;
  // Half a surrogate pair is no text; the JVM writes a question mark for it.
  const whole = (text) => (text.isWellFormed() ? text : text.replace(/\p{Surrogate}/gu, '?'));
  const hidden = (value) => ({ value, writable: true, enumerable: false, configurable: false });

  // What a setter of each kind of column makes of a value, before it becomes text: Java's narrowing
  // of numbers, and JavaScript's own texts for everything else.
  const texts = {
    text: (value) => (value === null ? null : whole(String(value))),
    int: (value) => (value === null ? null : String(value | 0)),
    byte: (value) => (value === null ? null : String((value << 24) >> 24)),
    float: (value) => (value === null ? null : native.float(Number(value))),
    decimal: (value) => {
      if (value === null) return null;
      if (value instanceof Decimal) return value.toString();
      throw new TypeError('a decimal column takes a java.math.BigDecimal or null');
    },
  };

  const prototype = Object.create(null);
  for (let at = 0; at < columns.length; at++) {
    const [name, kind] = columns[at];
    const bean = name[0].toUpperCase() + name.slice(1);
    const text = texts[kind];
    const get =
      kind === 'decimal'
        ? () => { const found = native.get(at); return found === null ? null : new Decimal(found); }
        : () => native.get(at);
    const set = (value) => { native.set(at, text(value)); };
    Object.defineProperty(prototype, 'get' + bean, hidden(get));
    Object.defineProperty(prototype, 'set' + bean, hidden(set));
    Object.defineProperty(prototype, name, { get, set, enumerable: false, configurable: false });
  }
  Object.defineProperty(prototype, 'drop', hidden(() => { native.drop(); }));
  Object.defineProperty(prototype, 'eraseDerived_contexts', hidden(() => { native.erase(); }));
  Object.defineProperty(prototype, 'toString', hidden(() => '[object Event]'));
  // An object of the JVM is no JSON.
  Object.defineProperty(prototype, 'toJSON', hidden(() => undefined));
  Object.preventExtensions(prototype);
  const event = Object.preventExtensions(Object.create(prototype));

  const line = (values) => values.map((value) => whole(String(value))).join(' ');
  const print = (...values) => { native.print(line(values)); };
  globalThis.print = print;
  globalThis.console = { log: print, info: print, warn: print, error: print, debug: print };

  // No clock and no chance but what the batch and the event bring: a replay repeats the result.
  Math.random = () => native.random();
  const Clock = Date;
  const now = () => native.now();
  const Fixed = function Date(...parts) {
    if (new.target === undefined) return new Clock(now()).toString();
    if (parts.length === 0) return Reflect.construct(Clock, [now()], new.target);
    // Parts of a date are those of UTC, whatever zone the machine is in.
    const made = parts.length === 1 ? parts : [Clock.UTC(...parts)];
    return Reflect.construct(Clock, made, new.target);
  };
  Fixed.prototype = Clock.prototype;
  Fixed.prototype.constructor = Fixed;
  Object.assign(Fixed, { now, UTC: Clock.UTC });
  Fixed.parse = (text) => Clock.parse(text);
  const parts = ['FullYear', 'Month', 'Date', 'Day', 'Hours', 'Minutes', 'Seconds', 'Milliseconds'];
  for (const part of parts) {
    Clock.prototype['get' + part] = Clock.prototype['getUTC' + part];
    if (part !== 'Day') Clock.prototype['set' + part] = Clock.prototype['setUTC' + part];
  }
  Clock.prototype.getTimezoneOffset = () => 0;
  globalThis.Date = Fixed;

  const isArray = Array.isArray;
  const parse = JSON.parse;
  const stringify = JSON.stringify;

  // Runs the script's function on the event: answers with JSON, or null where it gave nothing. The
  // parameters are made anew each time, since a script may change them.
  return (process, config) => (headers) => {
    const result = process()(event, config === null ? {} : parse(config), headers);
    if (result === undefined || result === null) return null;
    if (isArray(result) && result.length === 0) return null;
    const text = stringify(result);
    return text === undefined ? '' : text;
  };
})
