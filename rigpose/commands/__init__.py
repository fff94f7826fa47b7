"""One module per command group; `rigpose.commands.table` says which command lives where."""
