"""`python -m scripts.supervision.probe URL`: status 0 if a GET answers 200; for images that have no curl."""

import sys

from scripts.supervision.readiness import http_ready

if __name__ == "__main__":
    sys.exit(0 if http_ready(sys.argv[1])() else 1)
