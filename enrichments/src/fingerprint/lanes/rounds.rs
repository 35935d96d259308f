//! The 64 steps of MD5 on vectors: written once, for the vectors of every processor.
//!
//! Which processor it is only the running program knows, so the functions for one are compiled for
//! it and are unsafe to call on others; whoever calls them has looked. Everything in them is
//! arithmetic on values.

use wide::u32x8;

/// One word in every lane.
pub(super) type Words<const LANES: usize> = [u32; LANES];

/// The state before the first block.
pub(super) const INITIAL: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// Takes one block in each of eight lanes, on any processor.
pub(super) fn portable(state: &mut [Words<8>; 4], block: &[Words<8>; 16]) {
    let after = rounds(
        state.map(u32x8::new),
        &block.map(u32x8::new),
        u32x8::splat,
        |a, b| a + b,
        |words, bits| words << bits | words >> (32 - bits),
        Functions {
            f: |x, y, z| z ^ (x & (y ^ z)),
            g: |x, y, z| y ^ (z & (x ^ y)),
            h: |x, y, z| x ^ y ^ z,
            i: |x: u32x8, y, z: u32x8| y ^ (x | !z),
        },
    );
    *state = after.map(u32x8::to_array);
}

/// Takes one block in each of eight lanes.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
pub(super) fn avx2(state: &mut [Words<8>; 4], block: &[Words<8>; 16]) {
    use std::arch::x86_64::{
        __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_or_si256, _mm256_set1_epi32,
        _mm256_sllv_epi32, _mm256_srlv_epi32, _mm256_xor_si256,
    };
    // SAFETY: a vector is eight words.
    let before = unsafe { std::mem::transmute::<[Words<8>; 4], [__m256i; 4]>(*state) };
    // SAFETY: a vector is eight words.
    let block = unsafe { std::mem::transmute::<[Words<8>; 16], [__m256i; 16]>(*block) };
    let splat = |word: u32| _mm256_set1_epi32(word.cast_signed());
    let add = |a, b| _mm256_add_epi32(a, b);
    let and = |a, b| _mm256_and_si256(a, b);
    let xor = |a, b| _mm256_xor_si256(a, b);
    let or = |a, b| _mm256_or_si256(a, b);
    let turn = |words, bits: u32| {
        or(_mm256_sllv_epi32(words, splat(bits)), _mm256_srlv_epi32(words, splat(32 - bits)))
    };
    let functions = Functions {
        f: |x, y, z| xor(z, and(x, xor(y, z))),
        g: |x, y, z| xor(y, and(z, xor(x, y))),
        h: |x, y, z| xor(xor(x, y), z),
        i: |x, y, z| xor(y, or(x, xor(z, splat(u32::MAX)))),
    };
    let after = rounds(before, &block, splat, add, turn, functions);
    // SAFETY: a vector is eight words.
    *state = unsafe { std::mem::transmute::<[__m256i; 4], [Words<8>; 4]>(after) };
}

/// Takes one block in each of sixteen lanes.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
pub(super) fn avx512(state: &mut [Words<16>; 4], block: &[Words<16>; 16]) {
    use std::arch::x86_64::{
        __m512i, _mm512_add_epi32, _mm512_rolv_epi32, _mm512_set1_epi32, _mm512_ternarylogic_epi32,
    };
    // SAFETY: a vector is sixteen words.
    let before = unsafe { std::mem::transmute::<[Words<16>; 4], [__m512i; 4]>(*state) };
    // SAFETY: a vector is sixteen words.
    let block = unsafe { std::mem::transmute::<[Words<16>; 16], [__m512i; 16]>(*block) };
    let splat = |word: u32| _mm512_set1_epi32(word.cast_signed());
    // The numbers are the functions' truth tables.
    let functions = Functions {
        f: |x, y, z| _mm512_ternarylogic_epi32::<0xca>(x, y, z),
        g: |x, y, z| _mm512_ternarylogic_epi32::<0xe4>(x, y, z),
        h: |x, y, z| _mm512_ternarylogic_epi32::<0x96>(x, y, z),
        i: |x, y, z| _mm512_ternarylogic_epi32::<0x39>(x, y, z),
    };
    let add = |a, b| _mm512_add_epi32(a, b);
    let turn = |words, bits| _mm512_rolv_epi32(words, splat(bits));
    let after = rounds(before, &block, splat, add, turn, functions);
    // SAFETY: a vector is sixteen words.
    *state = unsafe { std::mem::transmute::<[__m512i; 4], [Words<16>; 4]>(after) };
}

/// The functions of the four rounds.
struct Functions<F, G, H, I> {
    f: F,
    g: G,
    h: H,
    i: I,
}

/// One step: the word that changes, and the one before it.
#[inline(always)]
fn step<V: Copy>(
    (splat, add, turn): &(impl Fn(u32) -> V, impl Fn(V, V) -> V, impl Fn(V, u32) -> V),
    [changes, before]: [V; 2],
    mixed: V,
    word: V,
    sine: u32,
    bits: u32,
) -> V {
    let sum = add(add(changes, mixed), add(word, splat(sine)));
    add(turn(sum, bits), before)
}

/// The state after a block, of any kind of vectors. Inlined into a function that may use a
/// processor's vectors it becomes their instructions.
#[inline(always)]
fn rounds<V: Copy>(
    before: [V; 4],
    block: &[V; 16],
    splat: impl Fn(u32) -> V,
    add: impl Fn(V, V) -> V,
    turn: impl Fn(V, u32) -> V,
    functions: Functions<
        impl Fn(V, V, V) -> V,
        impl Fn(V, V, V) -> V,
        impl Fn(V, V, V) -> V,
        impl Fn(V, V, V) -> V,
    >,
) -> [V; 4] {
    let [mut a, mut b, mut c, mut d] = before;
    let Functions { f, g, h, i } = functions;
    let vectors = (splat, add, turn);
    // Four rounds of sixteen steps. A round has its function, its order of the block's words and
    // its four rotations; the four words of the state take turns.
    for at in [0, 4, 8, 12] {
        a = step(&vectors, [a, b], f(b, c, d), block[at % 16], SINES[at], 7);
        d = step(&vectors, [d, a], f(a, b, c), block[(at + 1) % 16], SINES[at + 1], 12);
        c = step(&vectors, [c, d], f(d, a, b), block[(at + 2) % 16], SINES[at + 2], 17);
        b = step(&vectors, [b, c], f(c, d, a), block[(at + 3) % 16], SINES[at + 3], 22);
    }
    for at in [16, 20, 24, 28] {
        a = step(&vectors, [a, b], g(b, c, d), block[(5 * at + 1) % 16], SINES[at], 5);
        d = step(&vectors, [d, a], g(a, b, c), block[(5 * at + 6) % 16], SINES[at + 1], 9);
        c = step(&vectors, [c, d], g(d, a, b), block[(5 * at + 11) % 16], SINES[at + 2], 14);
        b = step(&vectors, [b, c], g(c, d, a), block[(5 * at + 16) % 16], SINES[at + 3], 20);
    }
    for at in [32, 36, 40, 44] {
        a = step(&vectors, [a, b], h(b, c, d), block[(3 * at + 5) % 16], SINES[at], 4);
        d = step(&vectors, [d, a], h(a, b, c), block[(3 * at + 8) % 16], SINES[at + 1], 11);
        c = step(&vectors, [c, d], h(d, a, b), block[(3 * at + 11) % 16], SINES[at + 2], 16);
        b = step(&vectors, [b, c], h(c, d, a), block[(3 * at + 14) % 16], SINES[at + 3], 23);
    }
    for at in [48, 52, 56, 60] {
        a = step(&vectors, [a, b], i(b, c, d), block[(7 * at) % 16], SINES[at], 6);
        d = step(&vectors, [d, a], i(a, b, c), block[(7 * at + 7) % 16], SINES[at + 1], 10);
        c = step(&vectors, [c, d], i(d, a, b), block[(7 * at + 14) % 16], SINES[at + 2], 15);
        b = step(&vectors, [b, c], i(c, d, a), block[(7 * at + 21) % 16], SINES[at + 3], 21);
    }
    let (_, add, _) = vectors;
    [add(before[0], a), add(before[1], b), add(before[2], c), add(before[3], d)]
}

/// The constants of the steps: the sines of 1 to 64 radians without sign, times 2^32.
const SINES: [u32; 64] = [
    0xd76a_a478,
    0xe8c7_b756,
    0x2420_70db,
    0xc1bd_ceee,
    0xf57c_0faf,
    0x4787_c62a,
    0xa830_4613,
    0xfd46_9501,
    0x6980_98d8,
    0x8b44_f7af,
    0xffff_5bb1,
    0x895c_d7be,
    0x6b90_1122,
    0xfd98_7193,
    0xa679_438e,
    0x49b4_0821,
    0xf61e_2562,
    0xc040_b340,
    0x265e_5a51,
    0xe9b6_c7aa,
    0xd62f_105d,
    0x0244_1453,
    0xd8a1_e681,
    0xe7d3_fbc8,
    0x21e1_cde6,
    0xc337_07d6,
    0xf4d5_0d87,
    0x455a_14ed,
    0xa9e3_e905,
    0xfcef_a3f8,
    0x676f_02d9,
    0x8d2a_4c8a,
    0xfffa_3942,
    0x8771_f681,
    0x6d9d_6122,
    0xfde5_380c,
    0xa4be_ea44,
    0x4bde_cfa9,
    0xf6bb_4b60,
    0xbebf_bc70,
    0x289b_7ec6,
    0xeaa1_27fa,
    0xd4ef_3085,
    0x0488_1d05,
    0xd9d4_d039,
    0xe6db_99e5,
    0x1fa2_7cf8,
    0xc4ac_5665,
    0xf429_2244,
    0x432a_ff97,
    0xab94_23a7,
    0xfc93_a039,
    0x655b_59c3,
    0x8f0c_cc92,
    0xffef_f47d,
    0x8584_5dd1,
    0x6fa8_7e4f,
    0xfe2c_e6e0,
    0xa301_4314,
    0x4e08_11a1,
    0xf753_7e82,
    0xbd3a_f235,
    0x2ad7_d2bb,
    0xeb86_d391,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_are_the_sines() {
        for (at, constant) in SINES.into_iter().enumerate() {
            let sine = ((at + 1) as f64).sin().abs();
            assert_eq!(constant, (sine * 4_294_967_296.0) as u32);
        }
    }
}
