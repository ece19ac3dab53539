// What the reader has opened, typed and chosen: nothing of it changes what happened.
import { createSlice } from "@reduxjs/toolkit"

const slice = createSlice({
  name: "looks",
  initialState: { query: "", searching: false, help: false, quiet: false, side: "child", ready: false, folds: 0 },
  reducers: {
    searched(state, { payload }) { state.query = payload; state.searching = true },
    searchOpened(state, { payload }) { state.searching = payload; if (!payload) state.query = "" },
    helpOpened(state, { payload }) { state.help = payload },
    quietHidden(state, { payload }) { state.quiet = payload },
    folded(state, { payload }) { state.ready = payload; state.folds += 1 },
    sideChosen(state, { payload }) { state.side = payload },
  },
})

export const { folded, searched, searchOpened, helpOpened, quietHidden, sideChosen } = slice.actions
export default slice.reducer
