//! Masking what is not an event: the same addresses and values, wherever else they stand.

use event::{Bump, Field};

use crate::pii::hash::Hash;
use crate::{Enrichments, address};

/// What the configured masking and pseudonymisation make of a payload's parts.
#[derive(Clone, Copy)]
pub struct Protection<'e> {
    enrichments: &'e Enrichments,
    /// Whether pseudonymisation applies to the payload.
    hashing: bool,
}

impl Enrichments {
    /// How to protect a payload with these headers; none where nothing is configured that masks or
    /// hashes.
    pub fn protection(&self, headers: &[&str]) -> Option<Protection<'_>> {
        let hashing = self.pii.as_ref().is_some_and(|pii| pii.applies(headers));
        (hashing || self.anon_ip.is_some()).then_some(Protection { enrichments: self, hashing })
    }
}

impl Protection<'_> {
    /// The value that a field would have.
    pub fn field<'a>(&self, field: Field, value: &'a str, arena: &'a Bump) -> &'a str {
        let mut value = value;
        if let (Field::UserIpaddress, Some(anon_ip)) = (field, &self.enrichments.anon_ip) {
            value = anon_ip.mask(value, arena);
        }
        match &self.enrichments.pii {
            Some(pii) if self.hashing => pii.field(field, value, arena),
            _ => value,
        }
    }

    /// The address that an event would have; a text that is none is hidden, where addresses are
    /// masked or hashed.
    pub fn address<'a>(&self, text: &'a str, arena: &'a Bump) -> &'a str {
        match self.covers_address() && address::parse(text).is_none() {
            true => arena.alloc_str(&self.opaque(text.as_bytes())),
            false => self.field(Field::UserIpaddress, text, arena),
        }
    }

    /// Whether values inside the entities of a column are hashed.
    pub fn looks_inside(&self, column: Field) -> bool {
        self.hashing && self.enrichments.pii.as_ref().is_some_and(|pii| pii.looks_inside(column))
    }

    /// Whether the address is masked or hashed.
    fn covers_address(&self) -> bool {
        let arena = Bump::new();
        // An address that everything which masks would change.
        let address = "192.0.2.213";
        self.field(Field::UserIpaddress, address, &arena) != address
    }

    /// A text that cannot be looked into, as a hash and its length.
    pub fn opaque(&self, text: &[u8]) -> String {
        let pii = self.enrichments.pii.as_ref().filter(|_| self.hashing);
        pii.map_or_else(|| opaque(text), |pii| pii.opaque(text))
    }
}

/// A text as a hash and its length, where no pseudonymisation is configured that says which hash.
pub fn opaque(text: &[u8]) -> String {
    let arena = Bump::new();
    format!("SHA-256 {}, {} bytes", Hash::Sha256.hex(&[text], &arena), text.len())
}
