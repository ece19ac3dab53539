// One store, three slices. The isolation itself is no slice: it is what the reducer in ../isolation
// makes of the events up to a step, and so is asked for (history.js), not kept.
import { configureStore } from "@reduxjs/toolkit"
import looks from "./looks.js"
import recordings from "./recordings.js"
import travel from "./travel.js"

export const makeStore = () => configureStore({ reducer: { recordings, travel, looks }, devTools: false })
