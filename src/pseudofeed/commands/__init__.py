"""The command line: cli.py puts together the commands that are here, with what they share (options.py, results.py,
display.py). A command checks its options, calls the stage that does the work, and prints what it found."""
