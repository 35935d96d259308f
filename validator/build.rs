//! Makes a table of the static registry in `../schemas`, so that it is part of the binary.
//!
//! The table is sorted by path, `vendor/name/format/version`, for a binary search.

#![allow(
    clippy::disallowed_methods,
    reason = "a build script is told where to work by the environment"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let root = here.join("../schemas/schemas").canonicalize()?;
    println!("cargo::rerun-if-changed={}", root.display());
    let mut paths = Vec::new();
    collect(&root, &mut paths)?;
    let mut entries: Vec<(String, PathBuf)> =
        paths.into_iter().map(|path| (key(&root, &path), path)).collect();
    entries.sort();
    let mut table = String::from("static SCHEMAS: &[(&str, &str)] = &[\n");
    for (key, path) in entries {
        writeln!(table, "    ({key:?}, include_str!({:?})),", path.display().to_string())
            .expect("a string can be written to");
    }
    table.push_str("];\n");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("embedded.rs"), table)
}

fn key(root: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(root).expect("found below the root");
    let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

fn collect(dir: &Path, out: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", dir.display());
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, out)?;
        } else {
            out.push(path);
        }
    }
    Ok(())
}
