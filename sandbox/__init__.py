"""Stand-ins for the outside services over real HTTP, as strict as the real ones. Imports nothing of ours."""
