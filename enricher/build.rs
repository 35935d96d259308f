//! Tells the binary which build it is. A commit is looked up for builds that are kept: one for
//! development is not made again for every commit.

use std::process::Command;

#[allow(clippy::disallowed_methods, reason = "a build is configured by its environment")]
fn main() {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    println!("cargo:rerun-if-env-changed=SNOWMELT_COMMIT");
    println!("cargo:rerun-if-changed=build.rs");
    let profile = variable("PROFILE");
    let given = variable("SNOWMELT_COMMIT");
    let commit = match profile.as_str() {
        _ if !given.is_empty() => given,
        "release" => looked_up().unwrap_or_else(|| "unknown".to_owned()),
        _ => "not looked up for a build for development".to_owned(),
    };
    println!("cargo:rustc-env=SNOWMELT_COMMIT={commit}");
    println!("cargo:rustc-env=SNOWMELT_TARGET={}", variable("TARGET"));
    println!("cargo:rustc-env=SNOWMELT_PROFILE={}", profile_of(&variable("OUT_DIR"), &profile));
}

fn looked_up() -> Option<String> {
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    // It is written to with every commit, whichever branch it is on.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo:rerun-if-changed={log}");
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() { commit } else { format!("{commit}, changed") })
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// A profile's own name, which is that of its folder; the variable only tells what it inherits.
fn profile_of<'a>(out: &'a str, inherited: &'a str) -> &'a str {
    let mut folders = out.rsplit(['/', '\\']).skip_while(|folder| *folder != "build");
    folders.nth(1).unwrap_or(inherited)
}
