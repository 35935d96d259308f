//! House rules for the scripts of pages, and of the tests that look at them in a browser.

use super::{COLUMNS, LINES_IN_FILE, none};
use tests::repository;

#[test]
fn scripts_open_with_what_they_are_and_fit_in_a_head() {
    let scripts = repository::files().into_iter().filter(|file| {
        let of_pages = ["enricher/ui/", "query/ui/", "tests/page/"];
        let of_pages = of_pages.iter().any(|it| file.path.starts_with(it));
        of_pages && (file.path.ends_with(".js") || file.path.ends_with(".mjs"))
    });
    none(scripts.flat_map(|file| {
        let text = file.text().expect("a script is text");
        let opens = !text.starts_with("//") && !text.starts_with("/*");
        let opens = opens.then(|| format!("{} does not say what it is", file.path));
        let lines = text.lines().count();
        let lines = (lines > LINES_IN_FILE).then(|| format!("{}: {lines} lines", file.path));
        // A text that stays in one piece can be found.
        let long = text
            .lines()
            .enumerate()
            .filter(|(_, line)| line.chars().count() > COLUMNS && !line.contains(['"', '`', '\'']));
        let long = long.map(|(at, _)| format!("{}:{} is too long", file.path, at + 1));
        opens.into_iter().chain(lines).chain(long).collect::<Vec<_>>()
    }));
}
