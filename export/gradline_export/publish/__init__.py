"""Publishing: a version built in a hidden folder and renamed into place."""
