// Copies the font's two files and writes the style sheet that names them.
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";

const from = new URL("node_modules/@fontsource-variable/vazirmatn/", import.meta.url);
const to = new URL("../static/vendor/", import.meta.url);

// The font's own ascent and descent set text too high in a button, hence the overrides.
// Ranges of the letters each file holds, so that a browser fetches only what a page shows.
const ranges = {
  arabic: "U+0600-06FF, U+0750-077F, U+200C-200F, U+2010-2011, U+FB50-FDFF, U+FE70-FEFC",
  latin: "U+0000-00FF, U+0131, U+0152-0153, U+02BB-02BC, U+02C6, U+02DA, U+02DC, U+2000-200B, U+2012-206F, U+20AC, U+2122",
};

mkdirSync(to, { recursive: true });
const faces = Object.entries(ranges).map(([script, range]) => {
  const file = `vazirmatn-${script}.woff2`;
  copyFileSync(new URL(`files/vazirmatn-${script}-wght-normal.woff2`, from), new URL(file, to));
  return `@font-face { font-family: Vazirmatn; font-weight: 100 900; font-display: swap; ascent-override: 108%; descent-override: 44%; line-gap-override: 0%; src: url(${file}) format("woff2"); unicode-range: ${range} }`;
});
copyFileSync(new URL("LICENSE", from), new URL("vazirmatn-LICENSE.txt", to));
writeFileSync(new URL("vazirmatn.css", to), faces.join("\n") + "\n");
