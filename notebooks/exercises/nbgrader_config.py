"""For nbgrader itself, when it is started in this folder; `make grade` reads it, too."""

c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "saving-and-loading"
# A student who deletes a test gets it back, and the mark that it gives.
c.OverwriteCells.add_missing_cells = True
# `nbgrader export` would otherwise overwrite the grades.csv of `make grade`.
c.ExportPlugin.to = "gradebook.csv"
# Seconds; a cell that takes longer is ended, and its marks are lost.
c.Execute.timeout = 60
