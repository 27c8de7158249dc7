interface DirectusSchema {
	messages: Message[];
}
interface Message {
	id: number;
	content: string;
	user_created: string;
	date_created: string;
}
