"""One run from plan to end: Luigi tasks, execution, publishing; each step is a file in steps/."""
