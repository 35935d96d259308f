//! Shapes of user agents, from which the machine that looks ahead learns before the first event.
//!
//! A shape is the kinds of a text's tokens, a character each. These are the shapes of frequent user
//! agents and of those that the machine learns most from. What becomes of a text does not depend on
//! them, but for texts made to cost much: see [`super::predict`].

use std::sync::LazyLock;

use super::lexer::{Kind, Token};
use super::parse::parse;
use super::predict::Learnt;
use super::tree::Tree;

/// The kinds by their characters.
const KINDS: [(char, Kind); 23] = [
    ('\\', Kind::Backslash),
    ('E', Kind::Email),
    ('{', Kind::CurlyOpen),
    ('}', Kind::CurlyClose),
    ('(', Kind::BraceOpen),
    (')', Kind::BraceClose),
    ('[', Kind::BlockOpen),
    (']', Kind::BlockClose),
    (';', Kind::Semicolon),
    (':', Kind::Colon),
    (',', Kind::Comma),
    ('/', Kind::Slash),
    ('=', Kind::Equals),
    ('-', Kind::Minus),
    ('I', Kind::Uuid),
    ('U', Kind::Url),
    ('S', Kind::SpecialVersion),
    ('X', Kind::Variable),
    ('G', Kind::Gibberish),
    ('@', Kind::At),
    ('W', Kind::Word),
    ('V', Kind::Version),
    ('B', Kind::Base64),
];

const SHAPES: &[&str] = &[
    "W/V(W;WV;V)W/V(W,WW)W/VWW/V",
    "W/V(WWV;V;V)W/V(W,WW)W/VW/V",
    "W/V(W;WWWVWWWW)W/V(W,WW)W/V[W/W;W/V;W/V;W/V;W/W;W/W;W/V;W/V;W/W;W/W;W/V]",
    "W/V(W;W;WV;VW/V)",
    "W/V(V;WVV)W/V(W,WW)W/VW/V",
    "W/V(W;W/V;U)",
    "W/V(V;W;WV;W:V)W/VW/V",
    "W/V(W;WV;WVW/V)W/V(W,WW)W/VWW/V",
    "U",
    "V/VW/VW/VW/V",
    "W/V(V;W;WW;W;W:V)W/VW/V",
    "W/V(W;W;WV;W;WWW/V)W/V(W,WW)W/VWW/V",
    "W{W:W:U}",
    "W/V(W;W;WWWW;W)W/V(W,WW)W/V",
    "W/V(W;W;WV;W;VW/W)W/V(W,WW)W/VWW/V",
    "W/V(W;WV;V(W)W/V;W)W/V(W,WW)W/VW/VWW/V",
    "V/W/W/W/V=VV/W/W/W/V=VV=VV=VWVWV",
    "W/V(WWV;VW)W/WW(W,WW)W/WWW/WWW/WWWWW",
    "W/W/V/V/VV/WWVW/W/WWVV/V",
    "W/VWW/V(V)V/V(V)WWWW/VW/VW/WW/V(W;WV;VW/V;W)W/V(W,WW)W/VW/VWW/V",
    "W/V(W;WV;WWV;V;W/V(WW/V(WVUWVW:U;WWV)",
    "W=WW=W/W/W--",
    "VWV=W(V,(W(V)W(V)W(V)W(V)W(V)W(W(WW(V=V)WVWVW)WW)W(V)W(V)W(V)W(V)W(V)))WW",
    "W/V(WWW;W;WV;V)W/V(W,WW)W/VWV(WW;W/WWV;W;W;W=V;W=W;V)",
    "W/V(W;WWWVWWWW)W/V(W,WW)W/VWVW/V()W/W()()W/WW()()W/W()()W/W()W/VW/VW/WW/VW/I",
    "W/V(WV;W/V(;W;V;;W;W/VW/VW/VW/V(W,V,)W))W/VW/V",
    "WV(W;W;WV[V];W;VWV)WWV(W,WW)WWV",
    "WW=W://W/W:W=UW:W=W://W/UW/W",
    "WW-WW/V(V:VW:V)",
    "W/V(W;WV;WWV;V;W/V;WV,V,V,V;WV(WV);V;WWV;WWV;WWV;W;V)",
    "W/V(W;WWWVWWWW)W/V(W,WW)W/W/V/WV/V/V",
    "W/W/W/W/V(WWV;V;V)W/V(W,WW)W/VW/V",
    "W/V(W;W-WWW;U)",
    "VWV=W(W(V)W(V)W(V)W(V)W(V)W(W(WW(V=V)WVWVW)WW)W(V)W(V)W(V)W(V)W(V))",
    "WW=V;W=WWVW=W/W/W:V/V/V:W/W",
    "W/WV(WWWWU;U;WWU)",
    "WWWW:VWW:WWWWW:V",
    "W/V(W;WWWVWWWW)W/V(W,WW)W/VW/VVW/VW/WW/W(WV)()W/V()W/V",
    "W,WWWWW,WWWWVWWWWWWWV;WWWWWWWWWWWWWW,WWWW/WW:E",
    "WW(WW=WW=UU/W)",
    "WV/V:V/V(WWW/V;W:WV;W)",
    "WW/W/V(V/W/V)-WV",
    "W//W/W//W//W/W",
    "W/V(W;WV;WWV;V;W/V(WWVW:UVW:U;WWV;V;V;V/V;WWWV)",
    "W/V(W;W;WWWV-V-WV;W;VW/V;WW)W/V(W,WW)W/VWW/V",
];

/// A machine that has read all of them.
static TAUGHT: LazyLock<Learnt> = LazyLock::new(teach);

/// Makes sure that no event waits for the samples to be read.
pub(super) fn prepare() {
    LazyLock::force(&TAUGHT);
}

/// The machine of a thread at its beginning.
pub(super) fn taught() -> Learnt {
    TAUGHT.clone()
}

fn teach() -> Learnt {
    let mut learnt = Learnt::ignorant();
    let mut tree = Tree::default();
    for shape in SHAPES {
        let kind = |c: char| KINDS.iter().find(|(known, _)| *known == c).map(|(_, kind)| *kind);
        let token = |kind| Token { kind, start: 0, end: 0 };
        let mut tokens: Vec<Token> = shape.chars().filter_map(kind).map(token).collect();
        tokens.push(token(Kind::Eof));
        parse(&tokens, &mut learnt, &mut tree).expect("teaching has no bounds");
    }
    learnt.graduate()
}
