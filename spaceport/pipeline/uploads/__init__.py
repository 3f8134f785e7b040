"""What an upload is: its zip directory, the checks, unpacking, kinds of files."""
