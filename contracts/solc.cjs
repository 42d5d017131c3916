#!/usr/bin/env node
// The npm compiler behind the command line that py-solc-x expects: --version and --standard-json.
"use strict";

function answer(solc) {
  if (process.argv.includes("--version")) {
    process.stdout.write(`solc, the solidity compiler\nVersion: ${solc.version()}\n`);
  } else if (process.argv.includes("--standard-json")) {
    process.stdout.write(solc.compile(require("fs").readFileSync(0, "utf8")));
  } else {
    process.stderr.write("only --version and --standard-json are answered\n");
    process.exitCode = 2;
  }
}

if (require.main === module) answer(require("solc"));
module.exports = { answer };
