"""Small programs to run and to change: `asgiserve examples.hello:app`."""
