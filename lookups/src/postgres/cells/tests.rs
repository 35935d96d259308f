use super::*;

fn check(of: &Type, raw: &[u8], expected: Option<Cell<'_>>) {
    let mut count = 0;
    let written = write(of, raw, &mut |cell| {
        assert_eq!(Some(cell), expected, "{raw:?} as {of}");
        count += 1;
    });
    assert_eq!((written.is_some(), count == 1), (expected.is_some(), expected.is_some()), "{of}");
}

#[test]
fn numbers_are_read() {
    check(&Type::BOOL, &[1], Some(Cell::Boolean(true)));
    check(&Type::INT2, &[255, 254], Some(Cell::Integer(-2)));
    check(&Type::INT4, &[0, 0, 1, 0], Some(Cell::Integer(256)));
    check(&Type::INT8, &i64::MIN.to_be_bytes(), Some(Cell::Integer(i64::MIN)));
    check(&Type::OID, &[255; 4], Some(Cell::Integer(4_294_967_295)));
    check(&Type::FLOAT4, &1.5_f32.to_be_bytes(), Some(Cell::Float(1.5)));
    check(&Type::FLOAT8, &0.1_f64.to_be_bytes(), Some(Cell::Float(0.1)));
    for of in [Type::BOOL, Type::INT2, Type::INT4, Type::INT8, Type::FLOAT8, Type::NUMERIC] {
        check(&of, &[], None);
    }
}

#[test]
fn decimals_keep_their_scale() {
    let numeric = |words: &[u16]| words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<u8>>();
    let check = |words: &[u16], expected: &str| {
        check(&Type::NUMERIC, &numeric(words), Some(Cell::Form(expected)));
    };
    let minus = u16::MAX;
    check(&[2, 0, 0, 2, 12, 5000], "12.50");
    check(&[0, 0, 0, 0], "0");
    check(&[0, 0, 0, 2], "0.00");
    check(&[1, 1, 0, 0, 1], "10000");
    check(&[2, 1, 0x4000, 0, 1, 5], "-10005");
    check(&[1, minus, 0, 4, 5], "0.0005");
    check(&[1, minus - 1, 0, 7, 10], "1E-7");
    check(&[3, 0, 0, 5, 1, 2345, 6000], "1.23456");
    check(&[0, 0, 0xC000, 0], "NaN");
    check(&[0, 0, 0xD000, 0], "Infinity");
    check(&[0, 0, 0xF000, 0], "-Infinity");
}

#[test]
fn moments_have_a_peers_form() {
    let micros = |days: i64, seconds: i64, micros: i64| {
        ((days * 86_400 + seconds) * 1_000_000 + micros).to_be_bytes()
    };
    let date = |days: i32, expected: &str| {
        check(&Type::DATE, &days.to_be_bytes(), Some(Cell::Text(expected)));
    };
    date(0, "2000-01-01T00:00:00.000Z");
    date(-7142, "1980-06-12T00:00:00.000Z");
    date(i32::MAX, "infinity");
    let timestamp = |raw: [u8; 8], expected: &str| {
        check(&Type::TIMESTAMP, &raw, Some(Cell::Form(expected)));
        check(&Type::TIMESTAMPTZ, &raw, Some(Cell::Form(expected)));
    };
    timestamp(micros(-7142, 36_672, 500_000), "1980-06-12 10:11:12.5");
    timestamp(micros(0, 0, 0), "2000-01-01 00:00:00.0");
    timestamp(micros(0, 0, -1), "1999-12-31 23:59:59.999999");
    timestamp(i64::MIN.to_be_bytes(), "-infinity");
    check(&Type::TIME, &micros(0, 36_672, 9), Some(Cell::Form("10:11:12")));
    let mut zoned = micros(0, 3_600, 0).to_vec();
    zoned.extend_from_slice(&(-7_200_i32).to_be_bytes());
    check(&Type::TIMETZ, &zoned, Some(Cell::Form("23:00:00")));
}

#[test]
fn intervals_have_the_units_that_they_have() {
    let check = |micros: i64, days: i32, months: i32, expected: &str| {
        let mut raw = micros.to_be_bytes().to_vec();
        raw.extend_from_slice(&days.to_be_bytes());
        raw.extend_from_slice(&months.to_be_bytes());
        check(&Type::INTERVAL, &raw, Some(Cell::Form(expected)));
    };
    check(0, 1, 0, "1 days");
    check(0, 0, 0, "0 secs");
    check(3_723_000_000, 0, 14, "1 years 2 mons 1 hours 2 mins 3 secs");
    check(-730_000, 0, 0, "-0.73 secs");
    check(-60_000_000, -2, 0, "-2 days -1 mins");
    check(1_050_000, 0, 0, "1.05 secs");
}

#[test]
fn texts_are_told_from_forms() {
    check(&Type::TEXT, b"12", Some(Cell::Text("12")));
    check(&Type::BPCHAR, b"ch   ", Some(Cell::Text("ch   ")));
    check(&Type::TEXT, &[255], None);
    check(&Type::JSON, b"{\"a\": 1}", Some(Cell::Form("{\"a\": 1}")));
    check(&Type::JSONB, b"\x01[1]", Some(Cell::Form("[1]")));
    check(&Type::JSONB, b"[1]", None);
    check(&Type::BYTEA, &[0, 255], Some(Cell::Text("\\x00ff")));
    let uuid = 0x5bd9_d4cf_6a9b_4c5b_8f0a_0d9d_4a0a_7b11_u128.to_be_bytes();
    check(&Type::UUID, &uuid, Some(Cell::Form("5bd9d4cf-6a9b-4c5b-8f0a-0d9d4a0a7b11")));
    check(&Type::INET, &[2, 32, 0, 4, 10, 0, 0, 1], Some(Cell::Text("10.0.0.1")));
    check(&Type::INET, &[2, 8, 0, 4, 10, 0, 0, 1], Some(Cell::Text("10.0.0.1/8")));
    check(&Type::CIDR, &[2, 32, 1, 4, 10, 0, 0, 1], Some(Cell::Text("10.0.0.1/32")));
    check(&Type::INET, &[2, 32, 0, 4, 10], None);
    assert!(is_readable(&Type::JSONB) && !is_readable(&Type::POINT));
    assert!(!is_readable(&Type::INT4_ARRAY) && !is_readable(&Type::MONEY));
}
