#!/usr/bin/env node
// The compiler that FiatToken was written for.
"use strict";
require("../solc.cjs").answer(require("solc-0.6"));
