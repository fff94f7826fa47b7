"""`python -m rigpose`, the same as the installed command."""

import sys

from rigpose.front_door import main

if __name__ == "__main__":
    sys.exit(main())
