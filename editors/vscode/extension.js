// Starts the language server for .kvmt files; without it, colours are all that there is.
const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

async function activate(context) {
  const [command, ...args] = vscode.workspace.getConfiguration("kvmt").get("command", ["kvmc", "lsp"]);
  const watcher = vscode.workspace.createFileSystemWatcher("**/*.{kvmt,json,xml}");
  context.subscriptions.push(watcher);
  client = new LanguageClient(
    "kvmt",
    "kvmt",
    { command, args },
    { documentSelector: [{ scheme: "file", language: "kvmt" }], synchronize: { fileEvents: watcher } },
  );
  try {
    await client.start();
  } catch (error) {
    client = undefined;
    vscode.window.showWarningMessage(`kvmt: cannot start \`${command}\`: ${error.message}. It comes with kvmc[lsp].`);
  }
}

function deactivate() {
  return client?.stop();
}

module.exports = { activate, deactivate };
