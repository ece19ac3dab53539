"""hand(): a button in the notebook that tells the teacher's page that one wants help."""
from ..desk import asking, workspace
from .desk import ask, place


def hand():
    """The button, and a line for what it is about."""
    from ipywidgets import HBox, Output, Text, ToggleButton
    try:
        up = (place().folder / asking.ASKS).exists()
    except workspace.WorkspaceError as error:
        return str(error)
    about = Text(placeholder="what about, if you like")
    button = ToggleButton(value=up, description="My hand is up" if up else "I want help")
    said = Output()

    def pressed(change):
        button.description = "My hand is up" if change["new"] else "I want help"
        said.clear_output()
        with said:
            print(ask(about.value) if change["new"] else ask(done=True))

    button.observe(pressed, "value")
    return HBox([button, about, said])
