"""`python -m pseudofeed`: the same as the `pseudofeed` command."""

from pseudofeed.cli import main

main()
