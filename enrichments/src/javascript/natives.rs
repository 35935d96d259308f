//! What scripts get from this program: the event's columns, the batch's time, the event's chance,
//! and the hashes and encodings behind the names of Java's that `java.js` offers.

use std::cell::RefCell;
use std::rc::Rc;

use base64_simd::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use event::convert::float32_text;
use event::fields::{FIELDS, Field};
use event::{Bump, Kind};
use rquickjs::context::EvalOptions;
use rquickjs::{Ctx, FromJs, Function, IntoJs, Object, Value};

use super::slots::Slots;
use crate::pii::hash::{Hash, hex};

/// Makes a realm ready for a script: answers with what runs the script's function.
pub(super) fn install<'js>(
    ctx: &Ctx<'js>,
    slots: &Rc<RefCell<Slots>>,
) -> rquickjs::Result<Function<'js>> {
    let java = java(ctx, slots)?;
    let native = of_event(ctx, slots)?;
    native.set("decimal", java.get::<_, Value<'js>>("decimal")?)?;
    let make: Function<'js> = evaluate(ctx, include_str!("event.js"))?;
    make.call((native, columns(ctx)?))
}

/// Installs the names of Java's: answers with the class of decimals, and what knows the names.
pub(super) fn java<'js>(
    ctx: &Ctx<'js>,
    slots: &Rc<RefCell<Slots>>,
) -> rquickjs::Result<Object<'js>> {
    let install: Function<'js> = evaluate(ctx, include_str!("java.js"))?;
    install.call((of_java(ctx, slots)?,))
}

fn of_event<'js>(ctx: &Ctx<'js>, slots: &Rc<RefCell<Slots>>) -> rquickjs::Result<Object<'js>> {
    let native = Object::new(ctx.clone())?;
    let own = || Rc::clone(slots);
    let shared = own();
    let get = move |at: usize| Seen { slots: Rc::clone(&shared), field: FIELDS[at] };
    native.set("get", Function::new(ctx.clone(), get)?)?;
    let shared = own();
    let set = move |at: usize, text: Option<String>| {
        shared.borrow_mut().set(FIELDS[at], text.as_deref());
    };
    native.set("set", Function::new(ctx.clone(), set)?)?;
    native.set("float", Function::new(ctx.clone(), |value: f64| float32_text(value as f32))?)?;
    let shared = own();
    let drop = move || shared.borrow_mut().dropped = true;
    native.set("drop", Function::new(ctx.clone(), drop)?)?;
    let shared = own();
    let erase = move || shared.borrow_mut().erased = true;
    native.set("erase", Function::new(ctx.clone(), erase)?)?;
    let shared = own();
    let print = move |line: String| shared.borrow_mut().print(line);
    native.set("print", Function::new(ctx.clone(), print)?)?;
    native.set("now", now(ctx, slots)?)?;
    let shared = own();
    // The 53 bits that a number's fraction has.
    let random = move || (shared.borrow_mut().chance() >> 11) as f64 / (1_u64 << 53) as f64;
    native.set("random", Function::new(ctx.clone(), random)?)?;
    Ok(native)
}

fn now<'js>(ctx: &Ctx<'js>, slots: &Rc<RefCell<Slots>>) -> rquickjs::Result<Function<'js>> {
    let shared = Rc::clone(slots);
    Function::new(ctx.clone(), move || shared.borrow().now_ms as f64)
}

/// Bytes are lists of numbers from -128 to 127, as Java's are.
fn of_java<'js>(ctx: &Ctx<'js>, slots: &Rc<RefCell<Slots>>) -> rquickjs::Result<Object<'js>> {
    let native = Object::new(ctx.clone())?;
    let text = |bytes: Vec<i32>| String::from_utf8_lossy(&unsigned(&bytes)).into_owned();
    native.set("text", Function::new(ctx.clone(), text)?)?;
    native.set("bytes", Function::new(ctx.clone(), |text: String| signed(text.as_bytes()))?)?;
    let digest = |name: String, bytes: Vec<i32>| {
        let hash = match &*name {
            "md5" => Hash::Md5,
            "sha1" => Hash::Sha1,
            "sha256" => Hash::Sha256,
            "sha384" => Hash::Sha384,
            _ => Hash::Sha512,
        };
        hash.hex(&[&unsigned(&bytes)], &Bump::new()).to_owned()
    };
    native.set("digest", Function::new(ctx.clone(), digest)?)?;
    let hexadecimal = |bytes: Vec<i32>| hex(&unsigned(&bytes), &Bump::new()).to_owned();
    native.set("hex", Function::new(ctx.clone(), hexadecimal)?)?;
    let encode = |bytes: Vec<i32>, url: bool, padded: bool| {
        let bytes = unsigned(&bytes);
        match (url, padded) {
            (false, true) => STANDARD.encode_to_string(&bytes),
            (false, false) => STANDARD_NO_PAD.encode_to_string(&bytes),
            (true, true) => URL_SAFE.encode_to_string(&bytes),
            (true, false) => URL_SAFE_NO_PAD.encode_to_string(&bytes),
        }
    };
    native.set("encode64", Function::new(ctx.clone(), encode)?)?;
    let decode = |text: String| signed(event::base64::decode_bytes(text.as_bytes(), &Bump::new()));
    native.set("decode64", Function::new(ctx.clone(), decode)?)?;
    let named = |bytes: Vec<i32>| uuid(md5_of(&unsigned(&bytes)), 3);
    native.set("named", Function::new(ctx.clone(), named)?)?;
    let shared = Rc::clone(slots);
    let random = move || {
        let mut slots = shared.borrow_mut();
        let bits = (u128::from(slots.chance()) << 64) | u128::from(slots.chance());
        uuid(bits.to_be_bytes(), 4)
    };
    native.set("uuid", Function::new(ctx.clone(), random)?)?;
    native.set("now", now(ctx, slots)?)?;
    Ok(native)
}

fn md5_of(bytes: &[u8]) -> [u8; 16] {
    use md5::Digest;
    md5::Md5::digest(bytes).into()
}

fn unsigned(bytes: &[i32]) -> Vec<u8> {
    bytes.iter().map(|byte| *byte as u8).collect()
}

fn signed(bytes: &[u8]) -> Vec<i32> {
    bytes.iter().map(|byte| i32::from(*byte as i8)).collect()
}

/// A UUID of some bits, with its version and the usual variant.
fn uuid(mut bytes: [u8; 16], version: u8) -> String {
    bytes[6] = (bytes[6] & 0x0f) | (version << 4);
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let digits = hex(&bytes, &Bump::new()).to_owned();
    let [a, b, c, d, e] = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
    format!("{a}-{b}-{c}-{d}-{e}")
}

/// Evaluates sources as scripts in sloppy mode, as the field's scripts expect.
pub(super) fn evaluate<'js, V: FromJs<'js>>(ctx: &Ctx<'js>, source: &str) -> rquickjs::Result<V> {
    let mut options = EvalOptions::default();
    (options.global, options.strict) = (true, false);
    options.filename = Some("<eval>".to_owned());
    ctx.eval_with_options(source, options)
}

/// A column's value as a script sees it.
struct Seen {
    slots: Rc<RefCell<Slots>>,
    field: Field,
}

impl<'js> IntoJs<'js> for Seen {
    fn into_js(self, ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
        let slots = self.slots.borrow();
        let Some(text) = slots.get(self.field) else { return Ok(Value::new_null(ctx.clone())) };
        match self.field.kind() {
            Kind::Int | Kind::Bool => {
                if let Ok(number) = text.parse::<i32>() {
                    return Ok(Value::new_int(ctx.clone(), number));
                }
            }
            Kind::Float => {
                if let Ok(number) = text.parse::<f32>() {
                    return Ok(Value::new_float(ctx.clone(), f64::from(number)));
                }
            }
            _ => {}
        }
        rquickjs::String::from_str(ctx.clone(), text).map(rquickjs::String::into_value)
    }
}

/// The columns as the prelude wants them: names, and which rule their setters follow.
fn columns<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Vec<Object<'js>>> {
    let column = |field: Field| {
        let kind = match field.kind() {
            Kind::Int => "int",
            Kind::Bool => "byte",
            Kind::Float => "float",
            Kind::Decimal => "decimal",
            Kind::Text | Kind::Timestamp | Kind::Json => "text",
        };
        let pair = rquickjs::Array::new(ctx.clone())?;
        pair.set(0, field.name())?;
        pair.set(1, kind)?;
        Ok(pair.into_object())
    };
    FIELDS.into_iter().map(column).collect()
}
