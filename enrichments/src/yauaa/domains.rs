//! The list of public suffixes: which names are top level domains, and the part of a host's name
//! that somebody registered.

use std::collections::{HashMap, HashSet};

/// The suffixes, read.
#[derive(Default)]
pub(super) struct Domains {
    /// The last labels made of plain letters, and three endings of file names.
    top_level: HashSet<Box<[u8]>>,
    longest_top_level: usize,
    /// Suffixes with whether they are those of registries; `*.` and `!` as in the list.
    suffixes: HashMap<Box<str>, bool>,
    /// Whether a URL's first label has two characters at least.
    pub(super) long_first_label: bool,
}

impl Domains {
    /// Reads the list.
    pub(super) fn read(list: &str) -> Domains {
        let mut domains = Domains::default();
        let endings = ["htm", "html", "php"];
        domains.top_level.extend(endings.map(|ending| ending.as_bytes().into()));
        let mut registry = None;
        for line in list.lines().filter(|line| !line.is_empty()) {
            if line.starts_with("//") {
                match registry {
                    None if line.contains("===BEGIN ICANN DOMAINS===") => registry = Some(true),
                    None if line.contains("===BEGIN PRIVATE DOMAINS===") => registry = Some(false),
                    Some(_) if line.contains("===END ") => registry = None,
                    _ => {}
                }
                continue;
            }
            let last = line.rsplit('.').next().unwrap_or(line);
            let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase());
            if !last.is_empty() && plain(last) && !line.contains("//") {
                domains.top_level.insert(last.as_bytes().into());
            }
            if let Some(registry) = registry {
                let suffix = line.strip_prefix('.').unwrap_or(line);
                domains.suffixes.insert(suffix.into(), registry);
            }
        }
        let lengths = domains.top_level.iter().map(|label| label.len());
        domains.longest_top_level = lengths.max().unwrap_or(0);
        domains
    }

    /// Whether a label is a top level domain.
    pub(super) fn is_top_level(&self, label: &[u8]) -> bool {
        self.top_level.contains(label)
    }

    /// The length of the longest top level domain.
    pub(super) fn longest_top_level(&self) -> usize {
        self.longest_top_level
    }

    /// The name below the registry's suffix, lower case given; none for a suffix itself or where no
    /// suffix is known.
    pub(super) fn registered<'h>(&self, host: &'h str) -> Option<&'h str> {
        if host.starts_with('.') {
            return None;
        }
        let (mut segment, mut result) = (host, None);
        loop {
            let is_registry = |name: &str| self.suffixes.get(name) == Some(&true);
            if is_registry(&format!("!{segment}")) {
                return Some(segment);
            }
            if is_registry(segment) {
                return result;
            }
            let (_, next) = segment.split_once('.')?;
            if is_registry(&format!("*.{next}")) {
                return result;
            }
            (result, segment) = (Some(segment), next);
        }
    }
}
