"""The report as one page for the browser: no other file, no script from elsewhere."""
import html
import json

from crabcan_steps.images.progress import megabytes

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222;background:#fff}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.2em .6em;border-bottom:1px solid #ddd;vertical-align:top}
td.n{text-align:right;white-space:nowrap}code{word-break:break-word}li.added{color:#070}li.changed{color:#850}li.removed{color:#a00}
li.mode{color:#057}ul{font-family:monospace;list-style:none;padding-left:1em}input{font-size:1em;padding:.3em;width:20em}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}td,th{border-color:#444}li.added{color:#7d7}li.changed{color:#ec7}
li.removed{color:#f88}li.mode{color:#7cf}}"""
SCRIPT = """const box=document.querySelector('input');box.addEventListener('input',()=>{
for(const line of document.querySelectorAll('li'))line.hidden=!line.textContent.includes(box.value)})"""
MOST = 2000  # lines of one layer
SIGNS = {"added": "+", "changed": "~", "removed": "-", "mode": "m"}


def page(report):
    """The whole page, as text."""
    data, e = report.data(), html.escape
    rows = "".join(f"<tr><td class=n>{one['number']}<td class=n>{megabytes(one['bytes'])}<td class=n>{megabytes(one['hidden_later'])}"
                   f"<td class=n>{one['added']}<td class=n>{one['changed']}<td class=n>{one['removed']}<td class=n>{one['mode']}"
                   f"<td><code>{e(one['command'] or '(no command is told)')}</code>" for one in data["layers"])
    wasters = "".join(f"<tr><td class=n>{megabytes(one['bytes'])}<td class=n>{one['versions']}<td><code>/{e(one['path'])}</code>"
                      f"<td>{e(', '.join(one['why']))}" for one in data["wasters"])
    secrets = "".join(f"<tr><td>{e(', '.join(one['kinds']))}<td><code>/{e(one['path'])}</code><td>layer {one['layer']}"
                      + (f", hidden by layer {one['hidden_by']}, and still there" if one["hidden_by"] is not None else "")
                      for one in data["secrets"])
    advice = "".join(f"<tr><td class=n>{megabytes(one['bytes'])}<td>{e(one['text'])}" for one in data["advice"])
    lines = "".join(f"<tr><td class=n>{megabytes(one['bytes']) if one['layer'] is not None else ''}<td><code>{e(one['line'])}</code><td>"
                    + "<br>".join(f"{megabytes(cure['bytes'])} less: {e(cure['text'])}" for cure in one["would_have_saved"])
                    for one in data["lines"])
    layers = "".join(changes(step) for step in report.index.steps)
    return f"""<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">
<title>{e(data['image'])}, layer by layer</title><style>{STYLE}</style>
<h1>{e(data['image'])}</h1><p>{megabytes(data['bytes'])} in files, {megabytes(data['wasted'])} of it hidden by later layers:
efficiency {data['efficiency']:.1%}.<p><code>{e(data['digest'])}</code>
<h2>Layers</h2><table><tr><th>#<th>size<th>hidden later<th>+<th>~<th>-<th>m<th>command{rows}</table>
<h2>The largest wasters</h2><table><tr><th>bytes<th>versions<th>path<th>why{wasters}</table>
<h2>What looks like a secret</h2><table>{secrets or '<tr><td>nothing'}</table>
<h2>What would have saved it</h2><table>{advice or '<tr><td>nothing'}</table>
<h2>Line by line</h2><table><tr><th>size<th>line<th>what would have saved it{lines}</table>
<h2>What each layer does</h2><p><label>Only paths with: <input type=search></label>{layers}<script>{SCRIPT}</script>
<script type=application/json id=data>{json.dumps(data).replace('<', chr(92) + 'u003c')}</script></html>
"""


def changes(step):
    """A layer's list, closed at first."""
    lines = [f"<li class={one.what}>{SIGNS[one.what]} /{html.escape(path)}" for path, one in sorted(step.changes.items())]
    more = f"<li>... and {len(lines) - MOST} more" if len(lines) > MOST else ""
    return (f"<details><summary>layer {step.number}: {len(lines)} changes: <code>{html.escape(step.command[:120])}</code></summary>"
            f"<ul>{''.join(lines[:MOST])}{more}</ul></details>")
