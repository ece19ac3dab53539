// What scrolls sideways, code and tables, can be reached with the keyboard. (The theme does this
// for code, but not where it sees no mouse.)
const mark = () => document.querySelectorAll("pre > code, .md-typeset__scrollwrap, .lab-result").forEach(box => {
  const wide = box.scrollWidth > box.clientWidth
  if (wide && box.tabIndex < 0) box.tabIndex = 0
  if (!wide && box.tabIndex >= 0) box.removeAttribute("tabindex")
})
new ResizeObserver(mark).observe(document.body)
new MutationObserver(mark).observe(document.querySelector("article"),
  {subtree: true, childList: true, attributeFilter: ["tabindex"]})
