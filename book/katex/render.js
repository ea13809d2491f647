// Typesets the formulas of a page: code between dollars, as in $`x^2`$, and
// blocks of the language `math`. Shared by rustdoc and mdBook.
function typesetMath() {
  function replace(code, place, displayMode) {
    const formula = document.createElement(displayMode ? "div" : "span");
    katex.render(code.textContent, formula, { displayMode, throwOnError: true });
    place.replaceWith(formula);
  }
  // rustdoc puts the language on `pre`, mdBook on `code`.
  for (const code of document.querySelectorAll("pre.language-math > code, pre > code.language-math")) {
    const pre = code.parentElement;
    replace(code, pre.closest(".example-wrap") ?? pre, true);
  }
  for (const code of document.querySelectorAll("code")) {
    const before = code.previousSibling, after = code.nextSibling;
    const between = before instanceof Text && before.data.endsWith("$")
      && after instanceof Text && after.data.startsWith("$");
    if (!between) continue;
    before.data = before.data.slice(0, -1);
    after.data = after.data.slice(1);
    replace(code, code, false);
  }
}
// mdBook loads KaTeX before this file; rustdoc's header calls the function.
if (typeof katex !== "undefined") document.addEventListener("DOMContentLoaded", typesetMath);
