// A page that is opened from disk may have no worker: there the search runs in a hidden frame.
if (location.protocol === "file:") window.Worker = class extends EventTarget {
  constructor(address) {
    super()
    const frame = document.createElement("iframe")
    frame.hidden = true
    this.ready = new Promise(ready => frame.addEventListener("load", () => {
      const inside = frame.contentWindow, script = inside.document.createElement("script")
      inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", {data}))
      script.onload = () => ready(inside)
      script.src = address
      inside.document.body.append(script)
    }, {once: true}))
    document.body.append(frame)
  }

  postMessage(data) {
    this.ready.then(inside => inside.dispatchEvent(new MessageEvent("message", {data})))
  }

  terminate() {}
}
