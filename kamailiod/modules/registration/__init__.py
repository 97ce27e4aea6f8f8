"""What the registrar and usrloc are made of: contacts, tables, saving and looking up."""
