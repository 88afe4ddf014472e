"""Run `gradline` as `python -m gradline`."""

from gradline.cli import main

if __name__ == "__main__":
    main()
