// The recordings that there are, and which of them are looked at.
import { createSlice } from "@reduxjs/toolkit"

const slice = createSlice({
  name: "recordings",
  initialState: { list: [], shown: 0, beside: null, fault: "", busy: "" },
  reducers: {
    added(state, { payload: { name, about, events } }) {
      // Frozen already: the store need not walk through ten thousand of them.
      state.list.push({ name, about: about ?? "", events: Object.freeze(events) })
      state.fault = ""
    },
    shown(state, { payload }) {
      if (!state.list[payload]) return
      state.shown = payload
      if (state.beside === payload) state.beside = null
    },
    besideShown(state, { payload }) {
      state.beside = payload === null || payload === state.shown || !state.list[payload] ? null : payload
    },
    refused(state, { payload }) { state.fault = payload },
    reading(state, { payload }) { state.busy = payload },
    faultRead(state) { state.fault = "" },
  },
})

export const { added, shown, besideShown, reading, refused, faultRead } = slice.actions
export default slice.reducer
