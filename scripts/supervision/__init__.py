"""The processes of a run: started, watched, revived, stopped."""
