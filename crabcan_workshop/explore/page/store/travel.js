// Where in a recording we stand, and what of it is left out. A step is how many events have happened.
import { createSlice } from "@reduxjs/toolkit"

const none = { events: {}, layers: {} }

const slice = createSlice({
  name: "travel",
  initialState: { steps: {}, left: {}, playing: false },
  reducers: {
    wentTo(state, { payload: { recording, step } }) { state.steps[recording] = step },
    played(state, { payload }) { state.playing = payload },
    eventSkipped(state, { payload: { recording, index } }) {
      const left = (state.left[recording] ??= { events: {}, layers: {} })
      if (left.events[index]) delete left.events[index]
      else left.events[index] = true
    },
    layerSkipped(state, { payload: { recording, layer } }) {
      const left = (state.left[recording] ??= { events: {}, layers: {} })
      if (Object.hasOwn(left.layers, layer)) delete left.layers[layer]
      else left.layers[layer] = true
    },
    nothingSkipped(state, { payload }) { delete state.left[payload] },
  },
})

export const skipped = (travel, recording) => travel.left[recording] ?? none
export const { wentTo, played, eventSkipped, layerSkipped, nothingSkipped } = slice.actions
export default slice.reducer
