// Light or dark: what the reader's system says, until the reader says otherwise.

const KEY = "snowmelt-theme";
const NEXT = { auto: "light", light: "dark", dark: "auto" };

function stored() {
  try {
    return localStorage.getItem(KEY) ?? "auto";
  } catch {
    return "auto"; // A browser that keeps nothing still shows the page.
  }
}

function show(theme, button) {
  if (theme === "auto") {
    delete document.documentElement.dataset.theme;
  } else {
    document.documentElement.dataset.theme = theme;
  }
  const long = document.createElement("span");
  long.className = "long";
  long.textContent = "Theme: ";
  button.replaceChildren(long, { auto: "System", light: "Light", dark: "Dark" }[theme]);
  button.setAttribute("aria-label", `Theme: ${theme === "auto" ? "system" : theme}`);
}

/** Makes a button go through the themes. */
export function themes(button) {
  let theme = NEXT[stored()] ? stored() : "auto";
  show(theme, button);
  button.addEventListener("click", () => {
    theme = NEXT[theme];
    show(theme, button);
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // It holds for this page, then.
    }
  });
}
