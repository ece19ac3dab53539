// A table that scrolls sideways can be reached with the keyboard; the theme does this for code only.
const mark = () => document.querySelectorAll(".md-typeset__scrollwrap").forEach(box => {
  if (box.scrollWidth > box.clientWidth) box.tabIndex = 0
  else box.removeAttribute("tabindex")
})
new ResizeObserver(mark).observe(document.body)
addEventListener("load", mark)
