// Renders every formula of the files named on the command line with the same
// KaTeX as the pages do, strictly: node book/katex/check.mjs $(git ls-files '*.rs' '*.md')
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
const katex = createRequire(import.meta.url)("./katex.js");

let count = 0, failures = 0;
function check(file, formula, displayMode) {
  count += 1;
  try {
    katex.renderToString(formula, { displayMode, strict: "error" });
  } catch (error) {
    failures += 1;
    console.log(`${file}: ${error.message}`);
  }
}
for (const file of process.argv.slice(2)) {
  const text = readFileSync(file, "utf8").replace(/^ *\/\/[\/!] ?/gm, "");
  for (const [, block] of text.matchAll(/^```math\n([^]*?)^```/gm)) check(file, block, true);
  for (const [, span] of text.matchAll(/\$`([^`]+)`\$/g)) check(file, span, false);
}
console.log(`${count} formulas, ${failures} failed`);
process.exitCode = failures > 0 || count === 0 ? 1 : 0;
