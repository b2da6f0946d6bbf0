"""Settlement reports: where they come from (sources), how they are laid out (layouts), what a line says."""
