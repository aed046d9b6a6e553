/** Contrast is at least 4.5 to 1 for texts and 3 to 1 for bars (WCAG 2.1), light and dark. */
export const styles = `
:root {
  color-scheme: light dark;
  --page: #fff; --text: #1b1f24; --quiet: #57606a; --line: #d0d7de; --stripe: #f6f8fa;
  --bar: #2a6bb5; --red: #c0362c; --link: #0b57a4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14181d; --text: #e6e9ed; --quiet: #a3adb8; --line: #39424d; --stripe: #1c2229;
    --bar: #5f9ee0; --red: #f0776c; --link: #7db4ee;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 64rem; padding: 1rem; background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
}
h1 { margin: 0; font-size: 1.6rem; }
h2 { margin: 2.2rem 0 .6rem; font-size: 1.2rem; }
header p { margin: .2rem 0; color: var(--quiet); }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1rem; margin: .6rem 0 0; padding: 0; list-style: none; }
a { color: var(--link); }
figure { margin: 1rem 0; }
figcaption { margin-bottom: .4rem; font-weight: 600; }
small, .note { color: var(--quiet); font-weight: 400; }
.table { overflow-x: auto; }
.table:focus-visible { outline: 2px solid var(--link); }
table { width: 100%; border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td {
  padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; overflow-wrap: normal;
}
thead th { color: var(--quiet); }
tbody th { font-weight: 500; }
tbody tr:nth-child(even) { background: var(--stripe); }
.number { text-align: right; }
.short { white-space: nowrap; }
svg { display: block; font: .8rem system-ui, sans-serif; }
svg text { fill: var(--quiet); }
/* Labels stand beside it, and below its edges. */
svg.days { margin: 0 .5rem 0 5rem; width: calc(100% - 5.5rem); overflow: visible; }
.grid { stroke: var(--line); }
.tick, .share { text-anchor: end; }
.date { text-anchor: middle; }
.bar { fill: var(--bar); }
.open { fill-opacity: .55; }
.failures .bar, .red { fill: var(--red); }
.track { fill: var(--line); }
.fullness text { fill: var(--text); }
@media (max-width: 40rem) { .between { display: none; } }
@media print { .table { overflow: visible; } nav { display: none; } }
`
