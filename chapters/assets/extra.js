// What scrolls sideways, as a lab's table may, can be reached with the keyboard. (Code does not: its
// long lines go on below.)
const mark = () => document.querySelectorAll(".md-typeset__scrollwrap, .lab-result").forEach(box => {
  const wide = box.scrollWidth > box.clientWidth
  if (wide && box.tabIndex < 0) box.tabIndex = 0
  if (!wide && box.tabIndex >= 0) box.removeAttribute("tabindex")
})
new ResizeObserver(mark).observe(document.body)
new MutationObserver(mark).observe(document.querySelector("article"),
  {subtree: true, childList: true, attributeFilter: ["tabindex"]})

// What is copied from a console block is what is typed: without prompts, and without what was printed.
const typed = () => document.querySelectorAll(".language-console [data-clipboard-target]").forEach(button => {
  const shown = document.querySelector(button.dataset.clipboardTarget).textContent.split("\n")
  button.dataset.clipboardText = shown.filter(line => line.startsWith("$ ")).map(line => line.slice(2)).join("\n")
})
new MutationObserver(typed).observe(document.querySelector("article"), {subtree: true, childList: true})

// The explorer below a chapter is loaded when a reader comes near. (loading="lazy" does so over HTTP only.)
const near = new IntersectionObserver(seen => seen.filter(({isIntersecting}) => isIntersecting).forEach(({target}) => {
  near.unobserve(target)
  target.src = target.dataset.src
}), {rootMargin: "600px"})
document.querySelectorAll(".birth iframe").forEach(frame => near.observe(frame))
